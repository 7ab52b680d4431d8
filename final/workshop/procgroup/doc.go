// Package procgroup ends a command together with what it has started. Where there are no
// groups of processes, as on Windows, the command ends alone.
package procgroup
