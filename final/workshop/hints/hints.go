// Package hints holds the lessons' hints, one file a station, as they are
// written: README.md says how.
package hints

import "embed"

// Files are the hints: "03.md".
//
//go:embed *.md
var Files embed.FS
