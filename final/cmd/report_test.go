package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPercentile_IsAValueThatWasMeasured(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for share, want := range map[float64]time.Duration{0.5: 50, 0.9: 90, 0.99: 99, 0.999: 100, 1: 100} {
		assert.Equal(t, want, percentile(hundred, share))
	}
	assert.Equal(t, time.Duration(7), percentile([]time.Duration{7}, 0.5))
	assert.Zero(t, percentile(nil, 0.5))
}

func TestPlanOrders_AreTheSameForTheSameSeed(t *testing.T) {
	list := planOrders(1000, 64, 1)
	assert.Equal(t, list, planOrders(1000, 64, 1))
	assert.NotEqual(t, list, planOrders(1000, 64, 2))
	ids := map[string]bool{}
	for _, w := range list {
		assert.NotEmpty(t, w.Lines)
		ids[w.ID] = true
	}
	assert.Len(t, ids, 1000)
	stock := planStock(list)
	assert.Len(t, stock, items)
	assert.NotContains(t, stock, "unicorn")
}

func TestLines_SayWhenATenthIsDone(t *testing.T) {
	var out strings.Builder
	l := &lines{out: &out, orders: 20}
	for range 5 {
		l.step()
	}
	l.note("something happened")
	l.finish()
	assert.Equal(t, "2 of 20 orders answered\n4 of 20 orders answered\nsomething happened\n", out.String())
}
