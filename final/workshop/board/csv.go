package board

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// writeCSV writes a line for each participant.
func writeCSV(w io.Writer, seats []seat, now time.Time) error {
	out := csv.NewWriter(w)
	out.Write([]string{"name", "station", "piece", "passing", "tests", "red", "red_minutes", "compiles", "last_report"}) // Error says what failed
	for _, s := range seats {
		minutes := ""
		if s.Red != "" {
			minutes = strconv.Itoa(int(s.RedFor / time.Minute))
		}
		out.Write([]string{
			cell(s.Name), s.Station, s.Piece, strconv.Itoa(s.Passing), strconv.Itoa(s.All), s.Red, minutes,
			strconv.FormatBool(s.Compiles), now.Add(-s.Ago).Format(time.RFC3339),
		})
	}
	out.Flush()
	return out.Error()
}

// cell keeps a spreadsheet from taking a peer's text for a formula.
func cell(text string) string {
	if first, _ := utf8.DecodeRuneInString(text); strings.ContainsRune("=+-@＝＋－＠", first) {
		return "'" + text
	}
	return text
}
