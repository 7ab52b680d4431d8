package numbers_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/internal/numbers"
)

func TestThousands_HaveCommas(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 195444: "195,444", 1234567890: "1,234,567,890", -7: "-7", -123: "-123", -1234: "-1,234", -123456: "-123,456",
		math.MinInt64: "-9,223,372,036,854,775,808", math.MaxInt64: "9,223,372,036,854,775,807",
	} {
		assert.Equal(t, want, numbers.Thousands(n))
	}
	assert.Equal(t, "18,446,744,073,709,551,615", numbers.Thousands(uint64(math.MaxUint64)))
}
