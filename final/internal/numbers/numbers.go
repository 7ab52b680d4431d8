// Package numbers writes numbers for people.
package numbers

import "strconv"

// Thousands writes n with a comma at each thousand: "195,444".
func Thousands[T ~int | ~int32 | ~int64 | ~uint64](n T) string {
	var digits, sign string
	if n < 0 {
		digits, sign = strconv.FormatInt(int64(n), 10)[1:], "-"
	} else {
		digits = strconv.FormatUint(uint64(n), 10)
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
