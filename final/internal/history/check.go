package history

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// ErrNotDecided is in the error of [Check] if the time was too short. It says nothing
// about the history.
var ErrNotDecided = errors.New("not decided")

// Check returns nil if calls are linearizable for a shop that begins with that stock
// (units by item). Otherwise its error names the items, and the first call that fits
// nowhere. It searches for at most limit, which must be positive; if that is too short,
// the error is [ErrNotDecided].
//
// A look at items of several groups is taken for several looks, one a group. That two
// groups were seen at the same moment is not checked.
func Check(stock map[string]int, calls []Call, limit time.Duration) error {
	groups, err := groupsOf(stock, calls)
	if err != nil {
		return err
	}
	end := time.Now().Add(limit)
	for _, g := range groups {
		left := max(time.Until(end), 1)
		switch g.decide(left) {
		case porcupine.Illegal:
			return fmt.Errorf("items %s: no order of the %d calls explains all answers%s",
				strings.Join(g.items, ", "), len(g.steps), g.stuck(max(time.Until(end), time.Second)))
		case porcupine.Unknown:
			return fmt.Errorf("items %s: %w within %s: whether an order of the %d calls explains all answers",
				strings.Join(g.items, ", "), ErrNotDecided, limit, len(g.steps))
		}
	}
	return nil
}

// stuck describes the call that ended first of those that the longest explanation leaves
// out; "" if that is not found within limit.
func (g *group) stuck(limit time.Duration) string {
	_, info := porcupine.CheckOperationsVerbose(g.model(), g.operations(), limit)
	var longest []int
	for _, partial := range info.PartialLinearizations() {
		for _, ids := range partial {
			if len(ids) > len(longest) {
				longest = ids
			}
		}
	}
	explained := map[int]bool{}
	for _, id := range longest {
		explained[id] = true
	}
	var first *Call
	for i := range g.steps {
		c := g.steps[i].call
		if !explained[i] && (first == nil || c.Ended < first.Ended) {
			first = c
		}
	}
	if first == nil {
		return ""
	}
	return fmt.Sprintf("; %d are explained, and then not: %v", len(longest), first)
}

// groupsOf cuts a history into groups that have no item in common.
func groupsOf(stock map[string]int, calls []Call) ([]*group, error) {
	accounts, looks, err := settle(stock, calls)
	if err != nil {
		return nil, err
	}
	p := newPartition(stock)
	for _, a := range accounts {
		if p.isKnown(a) {
			p.connect(a)
		}
	}
	for _, a := range accounts {
		if p.isKnown(a) {
			p.groupOf(a.lines[0].Item).addAccount(a)
		}
	}
	for i := range looks {
		if err := p.addLook(&looks[i]); err != nil {
			return nil, err
		}
	}
	groups := slices.Collect(maps.Values(p.groups))
	slices.SortFunc(groups, func(a, b *group) int { return cmp.Compare(a.items[0], b.items[0]) })
	return groups, nil
}

// A partition finds out which items are connected.
type partition struct {
	stock  map[string]int
	parent map[string]string // towards the item that stands for its group
	groups map[string]*group // by that item
}

func newPartition(stock map[string]int) *partition {
	p := &partition{stock: stock, parent: map[string]string{}, groups: map[string]*group{}}
	for item := range stock {
		p.parent[item] = item
	}
	return p
}

// isKnown reports whether an order is one that can hold units: its lines are known, and
// all its items are in the stock.
func (p *partition) isKnown(a *account) bool {
	for _, l := range a.lines {
		if _, ok := p.stock[l.Item]; !ok {
			return false
		}
	}
	return len(a.lines) > 0
}

func (p *partition) root(item string) string {
	for p.parent[item] != item {
		item = p.parent[item]
	}
	return item
}

func (p *partition) connect(a *account) {
	for _, l := range a.lines {
		p.parent[p.root(l.Item)] = p.root(a.lines[0].Item)
	}
}

// groupOf returns the group of an item, and makes it first if need be, once all is
// connected.
func (p *partition) groupOf(item string) *group {
	root := p.root(item)
	if p.groups[root] == nil {
		g := new(group)
		for other := range p.stock {
			if p.root(other) == root {
				g.items = append(g.items, other)
			}
		}
		slices.Sort(g.items)
		for _, other := range g.items {
			g.start = append(g.start, p.stock[other])
		}
		p.groups[root] = g
	}
	return p.groups[root]
}

func (g *group) item(id string) int {
	n, _ := slices.BinarySearch(g.items, id)
	return n
}

// addAccount adds the calls about an order.
func (g *group) addAccount(a *account) {
	order := -1
	if len(a.calls) > 1 {
		order = g.count
		g.count++
	}
	lines := make([]quantity, len(a.lines))
	for i, l := range a.lines {
		lines[i] = quantity{g.item(l.Item), l.Quantity}
	}
	for i := range a.calls {
		a.calls[i].Lines = a.lines // also of a Release, which gives them back
		g.steps = append(g.steps, step{call: &a.calls[i], lines: lines, order: order})
	}
}

// addLook adds to each group what was seen of its items.
func (p *partition) addLook(c *Call) error {
	levels := map[*group][]quantity{}
	for _, l := range c.Levels {
		if _, ok := p.stock[l.Item]; !ok {
			return fmt.Errorf("an item that was never in the stock: %v", c)
		}
		g := p.groupOf(l.Item)
		levels[g] = append(levels[g], quantity{g.item(l.Item), l.Left})
	}
	for g, seen := range levels {
		g.steps = append(g.steps, step{call: c, levels: seen, order: -1})
	}
	return nil
}
