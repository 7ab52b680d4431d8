package gateway

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/internal/numbers"
)

// threeDigits writes v with three digits, or as many as a whole number has.
func threeDigits(v float64) string {
	decimals := 0
	switch {
	case v < 9.995:
		decimals = 2
	case v < 99.95:
		decimals = 1
	default:
		return numbers.Thousands(int64(math.Round(v)))
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

// rate writes calls per second: of few of them it says that there are some.
func rate(perSecond float64) string {
	if perSecond > 0 && perSecond < 0.01 {
		return "< 0.01"
	}
	return threeDigits(perSecond)
}

// span writes a duration in the unit that suits it, or in two from a minute on.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	below := func(unit time.Duration) bool { return float64(d) < 0.9995*float64(unit) } // what is rounded up has the next unit
	switch {
	case below(time.Millisecond):
		return threeDigits(float64(d)/float64(time.Microsecond)) + " µs"
	case below(time.Second):
		return threeDigits(float64(d)/float64(time.Millisecond)) + " ms"
	case below(time.Minute):
		return threeDigits(d.Seconds()) + " s"
	case d < time.Hour-time.Second/2:
		return inTwo(d.Round(time.Second), time.Minute, "min", time.Second, "s")
	case d < day-time.Minute/2:
		return inTwo(d.Round(time.Minute), time.Hour, "h", time.Minute, "min")
	}
	return inTwo(d.Round(time.Hour), day, "d", time.Hour, "h")
}

func inTwo(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	text := numbers.Thousands(int64(d/large)) + " " + largeName
	if rest := d % large / small; rest > 0 {
		text += fmt.Sprintf(" %d %s", rest, smallName)
	}
	return text
}
