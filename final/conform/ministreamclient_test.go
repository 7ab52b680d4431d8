package conform

import (
	"encoding/json"
	"fmt"
	"math"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// miniCredit is the window that the mini client offers.
const miniCredit = 4096

// A miniHalf is what the mini client knows of its one stream.
type miniHalf struct {
	credit       int64 // what it may send
	room         int64 // what the server may send
	taken        int64 // cost of items that were printed, and not given back
	lent, wanted int64
	part         []byte
	within       bool
	lines        []string
	ended        bool // its own half
	done         bool // the server has ended the stream
	failed       error
}

// stream opens a stream, sends its items, and returns those that have come.
func (c *miniClient) stream(method, params, shape string) (lines []string, err error) {
	if c.agreed&wire.FlagMore == 0 && c.fault != "opens without a grant" {
		return nil, fmt.Errorf("unimplemented: the server grants no streams")
	}
	open := frames.Open{Shape: shapes[shape], Request: frames.Request{ID: miniID, Method: method}}
	s := &miniHalf{credit: theirWindow, room: miniCredit}
	var items []json.RawMessage
	if shape == "server" {
		open.Params, s.ended = []byte(params), true
	} else if err := json.Unmarshal([]byte(params), &items); err != nil {
		return nil, err
	}
	c.write(open.Frame())
	for i, item := range items {
		if c.fault == "waits for an item before it sends one" && shape == "bidi" {
			i--
		} else if err := c.sendItem(s, item); err != nil {
			return s.lines, err
		}
		for shape == "bidi" && !s.done && len(s.lines) <= max(i, 0) { // one by one
			if err := c.streamFrame(s); err != nil {
				return s.lines, err
			}
		}
		if s.done {
			break
		}
	}
	keeps := c.fault == "does not end its half after the server's end" && s.done && !s.ended
	if !s.ended && !keeps {
		c.endHalf(s)
	}
	for !s.done || keeps {
		if err := c.streamFrame(s); err != nil {
			return s.lines, err
		}
	}
	return s.lines, s.failed
}

func (c *miniClient) endHalf(s *miniHalf) {
	end := frames.Frame{Kind: wire.KindEnd, ID: miniID}
	if c.fault == "ends its half with a code" && !s.done {
		end = frames.Reason{}.Frame(wire.KindEnd, 0, miniID)
	}
	c.write(end)
}

// sendItem sends an item in one frame, once there is credit for it, or the stream is over.
func (c *miniClient) sendItem(s *miniHalf, item []byte) error {
	cost := frames.DataCost(len(item))
	for said := false; s.credit < cost && !s.done && c.fault != "sends without credit"; said = true {
		want := uint32(cost)
		if c.fault == "wants more than its item costs" {
			want += 1 << 20
		}
		if !said {
			c.write(frames.AmountFrame(wire.KindWant, miniID, want))
		}
		if err := c.streamFrame(s); err != nil {
			return err
		}
	}
	if s.done {
		return nil
	}
	s.credit -= cost
	c.write(frames.Data(miniID, 0, item))
	return nil
}

// streamFrame takes one frame.
func (c *miniClient) streamFrame(s *miniHalf) error {
	f, err := c.frame()
	if err == nil {
		err = f.CheckAgreed(false, c.agreed)
	}
	if err != nil {
		return err
	}
	switch {
	case f.Kind == wire.KindPing:
		c.write(frames.Frame{Kind: wire.KindPong, ID: f.ID})
		return nil
	case f.ID != miniID || s.done:
		return fmt.Errorf("%s for stream %d", f.Kind, f.ID)
	}
	switch f.Kind {
	case wire.KindData:
		return c.streamData(s, f)
	case wire.KindCredit:
		n, err := f.Amount()
		if c.fault == "takes credit of 0" && err != nil {
			return nil
		}
		if s.credit += n; err == nil && s.credit > math.MaxInt32 {
			err = fmt.Errorf("credit of %d bytes", s.credit)
		}
		return err
	case wire.KindWant:
		n, err := f.Amount()
		if s.wanted = n; err == nil {
			c.giveBack(s)
		}
		return err
	case wire.KindEnd:
		s.done = true
		r, err := f.Reason()
		if err == nil && r.Code != wire.OK {
			s.failed = fmt.Errorf("%s: %s", r.Code, r.Text)
			if c.fault == "drops the items before an error" {
				s.lines = nil
			}
		}
		return err
	case wire.KindHeader:
		if c.agreed&wire.FlagReplyMetadata != 0 {
			return nil
		}
	}
	return fmt.Errorf("a %s", f.Kind)
}

func (c *miniClient) streamData(s *miniHalf, f frames.Frame) error {
	cost := frames.DataCost(len(f.Fields))
	more := f.Flags&wire.FlagMore != 0
	switch {
	case cost > s.room:
		return fmt.Errorf("data of %d bytes, of %d", cost, s.room)
	case more && len(f.Fields) < 1024 && c.fault != "takes short fragments":
		c.write(frames.Frame{Kind: wire.KindCancel, ID: miniID})
		return fmt.Errorf("a fragment of %d bytes", len(f.Fields))
	}
	s.room -= cost
	s.taken += cost
	s.wanted = 0
	s.part = append(s.part, f.Fields...)
	if s.within = more; more {
		return nil
	}
	item := string(s.part)
	s.part = nil
	if !json.Valid([]byte(item)) {
		c.write(frames.Frame{Kind: wire.KindCancel, ID: miniID})
		return fmt.Errorf("not JSON: %.80q", item)
	}
	s.lines = append(s.lines, item)
	if c.fault == "prints an item twice" {
		s.lines = append(s.lines, item)
	}
	c.giveBack(s)
	return nil
}

// giveBack gives credit back, as the mini server does.
func (c *miniClient) giveBack(s *miniHalf) {
	if c.fault == "gives no credit back" {
		return
	}
	back := min(s.taken, s.lent)
	s.taken -= back
	s.lent -= back
	switch {
	case s.wanted > miniCredit+s.lent:
		if c.fault == "makes no room for large items" {
			return
		}
		more := s.wanted - s.room - s.taken
		s.lent += more
		s.give(c, s.taken+more)
	case s.wanted > 0 && s.wanted <= s.room+s.taken, s.taken >= miniCredit/4:
		s.give(c, s.taken)
	}
}

func (s *miniHalf) give(c *miniClient, n int64) {
	s.taken, s.wanted = 0, 0
	s.room += n
	if n > 0 {
		c.write(frames.AmountFrame(wire.KindCredit, miniID, uint32(n)))
	}
}
