package wire

import "encoding/binary"

// EachPair calls f with each of the pairs that b consists of, in their order. It stops
// when f returns false. The slices point into b. at is the offset of b in its message,
// for the error.
func EachPair(b []byte, at int, f func(key, value []byte) bool) error {
	size := len(b)
	in := fields{b: b}
	for len(in.b) > 0 {
		key := in.take(in.uint16("length of a key"), "key")
		value := in.take(in.uint16("length of a value"), "value")
		if in.bad() {
			return in.explain(malformed(0, "truncated pairs"), at+size)
		}
		if !f(key, value) {
			return nil
		}
	}
	return nil
}

// ParsePairs returns pairs of metadata or details as a map. More than most of them are
// an error. Of a key that occurs twice the last value counts.
func ParsePairs(b []byte, most int) (map[string]string, error) {
	pairs := map[string]string{}
	n := 0
	err := EachPair(b, 0, func(key, value []byte) bool {
		if n++; n > most {
			return false
		}
		pairs[string(key)] = string(value)
		return true
	})
	if n > most {
		return nil, tooLarge("more than %d pairs of metadata", most)
	}
	if err != nil {
		return nil, err
	}
	return pairs, nil
}

// AppendPairs appends pairs, of which each key and each value has less than 64 KiB.
func AppendPairs(dst []byte, pairs map[string]string) []byte {
	for k, v := range pairs {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(k)))
		dst = append(dst, k...)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(v)))
		dst = append(dst, v...)
	}
	return dst
}

// PairsSize returns how many bytes AppendPairs appends.
func PairsSize(pairs map[string]string) int {
	size := 0
	for k, v := range pairs {
		size += 4 + len(k) + len(v)
	}
	return size
}

// A block is pairs after their size, for fields that others follow. No pairs are no bytes:
// a flag of the frame says whether the block is there.

// blockSize returns how many bytes a block of pairs takes.
func blockSize(pairs map[string]string) int {
	if len(pairs) == 0 {
		return 0
	}
	return 2 + PairsSize(pairs)
}

func appendBlock(dst []byte, pairs map[string]string) []byte {
	if len(pairs) == 0 {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(PairsSize(pairs)))
	return AppendPairs(dst, pairs)
}

// ReplyMetadataSize returns how many bytes the metadata of a reply take in its frame.
func ReplyMetadataSize(md map[string]string) int { return blockSize(md) }
