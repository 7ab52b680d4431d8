package inventory

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// Bolt trusts its file: it follows a damaged page number to an address where nothing is,
// which can end the process. So the pages are looked at before, byte by byte. Their form
// is that of go.etcd.io/bbolt/internal/common; numbers are in the machine's order.

const (
	pageHead    = 16 // id, flags, count of elements, pages that follow
	elementHead = 16
	bucketHead  = 16 // page of the root, sequence
	metaSize    = 56 // without its checksum

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10
	bucketValue  = 0x01
)

var errCutOff = errors.New("the database is cut off")

// pageChecker looks at all pages of a file.
type pageChecker struct {
	file  io.ReaderAt
	size  int64 // of the file
	page  int64 // size of one
	limit uint64
	seen  map[uint64]bool // pages that are in use or free
}

// meta is one of the two heads of a file. The one with the higher tx counts.
type meta struct{ page, root, freelist, limit, tx uint64 }

// checkPages returns what is wrong with a bolt file of that size, or nil.
func checkPages(file io.ReaderAt, size int64) error {
	c := &pageChecker{file: file, size: size, page: 512, seen: map[uint64]bool{0: true, 1: true}}
	head, err := c.meta(0)
	if err != nil {
		return err
	}
	c.page = int64(head.page)
	other, err := c.meta(1)
	if err != nil {
		return err
	}
	if other.page != head.page {
		return errors.New("its two heads disagree")
	}
	if other.tx > head.tx {
		head = other
	}
	c.limit = head.limit
	if c.limit > uint64(size)/head.page {
		return fmt.Errorf("%w: it should have %d bytes", errCutOff, c.limit*head.page)
	}
	if err := c.freelist(head.freelist); err != nil {
		return err
	}
	if err := c.tree(head.root, nil); err != nil {
		return err
	}
	if lost := c.limit - uint64(len(c.seen)); lost > 0 {
		return fmt.Errorf("%d pages are neither in use nor free", lost)
	}
	return nil
}

// meta reads a head. Bolt would go on with the other one, which is a transaction older:
// an answer that somebody got would be forgotten.
func (c *pageChecker) meta(number int64) (m meta, err error) {
	data := make([]byte, pageHead+metaSize+8)
	if _, err := c.file.ReadAt(data, number*c.page); err != nil {
		return m, fmt.Errorf("read page %d: %w", number, err)
	}
	body := data[pageHead:]
	sum := fnv.New64a()
	sum.Write(body[:metaSize])
	order := binary.NativeEndian
	m = meta{page: uint64(order.Uint32(body[8:])), root: order.Uint64(body[16:]), freelist: order.Uint64(body[32:]), limit: order.Uint64(body[40:]), tx: order.Uint64(body[48:])}
	switch {
	case sum.Sum64() != order.Uint64(body[metaSize:]), order.Uint64(data) != uint64(number), order.Uint16(data[8:]) != metaPage:
		return m, fmt.Errorf("page %d, one of its two heads, is not what was written", number)
	case m.page < 512 || m.page > 1<<20 || m.page&(m.page-1) != 0:
		return m, fmt.Errorf("its pages have %d bytes", m.page)
	}
	return m, nil
}

// read returns a page with those that belong to it, and counts them as seen.
func (c *pageChecker) read(id uint64) (data []byte, flags uint16, count int, err error) {
	bad := func(why string) ([]byte, uint16, int, error) { return nil, 0, 0, fmt.Errorf("page %d %s", id, why) }
	if id < 2 || id >= c.limit {
		return bad("does not exist")
	}
	head := make([]byte, pageHead)
	if _, err := c.file.ReadAt(head, int64(id)*c.page); err != nil {
		return bad("cannot be read: " + err.Error())
	}
	order := binary.NativeEndian
	more := uint64(order.Uint32(head[12:]))
	if order.Uint64(head) != id || more >= c.limit-id {
		return bad("is not what was written")
	}
	for i := id; i <= id+more; i++ {
		if c.seen[i] {
			return bad("is used twice")
		}
		c.seen[i] = true
	}
	data = make([]byte, int64(more+1)*c.page)
	if _, err := c.file.ReadAt(data, int64(id)*c.page); err != nil {
		return bad("cannot be read: " + err.Error())
	}
	return data, order.Uint16(head[8:]), int(order.Uint16(head[10:])), nil
}

func (c *pageChecker) freelist(id uint64) error {
	data, flags, count, err := c.read(id)
	if err != nil {
		return err
	}
	ids := data[pageHead:]
	n := uint64(count)
	if count == 0xffff { // then the number stands in the first place
		n, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if flags != freelistPage || n > uint64(len(ids)/8) {
		return fmt.Errorf("page %d is not the list of free pages that was written", id)
	}
	for i := range n {
		free := binary.NativeEndian.Uint64(ids[8*i:])
		if free < 2 || free >= c.limit || c.seen[free] {
			return fmt.Errorf("page %d is free and in use, or does not exist", free)
		}
		c.seen[free] = true
	}
	return nil
}

// tree looks at a page and all below it, whose keys are not below least.
func (c *pageChecker) tree(id uint64, least []byte) error {
	data, flags, count, err := c.read(id)
	if err != nil {
		return err
	}
	if flags != leafPage && flags != branchPage || flags == branchPage && count == 0 {
		return fmt.Errorf("page %d is of no kind that can be there", id)
	}
	if err := c.elements(data, flags, count, least); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements looks at the elements of a page. Their keys and values follow each other,
// from the end of the elements on, and then there are zeros: else a lower count would
// hide records, or all there are.
func (c *pageChecker) elements(data []byte, flags uint16, count int, least []byte) error {
	order := binary.NativeEndian
	next := pageHead + elementHead*count
	if next > len(data) {
		return errors.New("more elements than it can hold")
	}
	for i := range count {
		at := pageHead + elementHead*i
		element := data[at:]
		kind, pos, keySize, valueSize := order.Uint32(element), order.Uint32(element[4:]), order.Uint32(element[8:]), order.Uint32(element[12:])
		if flags == branchPage { // position, size of the key, page
			kind, pos, keySize, valueSize = 0, order.Uint32(element), order.Uint32(element[4:]), 0
		}
		end := int64(next) + int64(keySize) + int64(valueSize)
		if int64(at)+int64(pos) != int64(next) || end > int64(len(data)) || kind > bucketValue || keySize == 0 && flags == leafPage {
			return fmt.Errorf("element %d is not what was written", i)
		}
		key, value := data[next:next+int(keySize)], data[next+int(keySize):end]
		if order := bytes.Compare(key, least); order < 0 || i > 0 && order == 0 {
			return fmt.Errorf("element %d is out of order", i)
		}
		least, next = key, int(end)
		var err error
		switch {
		case flags == branchPage:
			err = c.tree(order.Uint64(element[8:]), key)
		case kind == bucketValue:
			err = c.bucket(value)
		}
		if err != nil {
			return err
		}
	}
	if len(bytes.Trim(data[next:], "\x00")) > 0 {
		return errors.New("there is something after its last element")
	}
	return nil
}

// bucket looks at a bucket, which has a page of its own or, if it is small, stands here.
func (c *pageChecker) bucket(value []byte) error {
	if len(value) < bucketHead {
		return errors.New("a bucket is cut off")
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return c.tree(root, nil)
	}
	page := value[bucketHead:]
	if len(page) < pageHead || binary.NativeEndian.Uint16(page[8:]) != leafPage {
		return errors.New("a bucket is of no kind that can be there")
	}
	return c.elements(page, leafPage, int(binary.NativeEndian.Uint16(page[10:])), nil)
}
