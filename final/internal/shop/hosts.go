package shop

import (
	"strings"

	"example.com/rpc-from-scratch/final/internal/misuse"
)

// hostNames splits a list of names and adds those of the machine for itself, which
// probes use. Of none it makes none. "*" is one that allows any.
func hostNames(list string) (names []string, err error) {
	if list == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(list, ",") {
		name := strings.TrimSpace(part)
		if err := misuse.CheckHost(name); err != nil && name != "*" {
			return nil, err
		}
		names = append(names, name)
	}
	return append(names, "localhost", "127.0.0.1", "::1"), nil
}
