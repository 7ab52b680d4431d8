package http2

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// randomReader gives data in pieces of random sizes.
type randomReader struct {
	rnd  *rand.Rand
	data []byte
}

func (r *randomReader) Read(b []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.data[:min(len(r.data), 1+r.rnd.IntN(2*pipeSize))])
	r.data = r.data[n:]
	return n, nil
}

// What goes in comes out, whoever moves it, in pieces of any size.
func TestPipe_BytesInOrder(t *testing.T) {
	data := make([]byte, 50*pipeSize)
	for i := range data {
		data[i] = byte(i ^ i>>8)
	}
	writers := map[string]func(p *pipe, src *randomReader){
		"fill": func(p *pipe, src *randomReader) { p.fill(src) },
		"Write": func(p *pipe, src *randomReader) {
			piece := make([]byte, 3*pipeSize)
			for {
				n, err := src.Read(piece)
				if err != nil {
					p.closeWrite(err)
					return
				}
				p.Write(piece[:n])
				clear(piece) // Write must not keep it
			}
		},
	}
	readers := map[string]func(p *pipe, dst io.Writer) error{
		"drain": func(p *pipe, dst io.Writer) error { return p.drain(dst) },
		"Read": func(p *pipe, dst io.Writer) error {
			rnd := rand.New(rand.NewPCG(3, 4))
			for {
				piece := make([]byte, 1+rnd.IntN(2*pipeSize))
				n, err := p.Read(piece)
				if err != nil {
					return err
				}
				dst.Write(piece[:n])
			}
		},
	}
	for in, write := range writers {
		for out, read := range readers {
			t.Run(in+" "+out, func(t *testing.T) {
				p := newPipe()
				go write(p, &randomReader{rand.New(rand.NewPCG(1, 2)), data})
				var got bytes.Buffer
				assert.ErrorIs(t, read(p, &got), io.EOF)
				assert.True(t, bytes.Equal(data, got.Bytes()), "%d bytes came out of %d", got.Len(), len(data))
			})
		}
	}
}

func TestPipe_DeadlinesPassAndBytesGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		p.setReadDeadline(time.Now().Add(time.Minute))
		began := time.Now()
		_, err := p.Read(make([]byte, 1))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(began))
		_, err = p.Read(make([]byte, 1))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded, "it has passed until it is set anew")
		p.setReadDeadline(time.Time{})

		data := bytes.Repeat([]byte("abc"), pipeSize)
		p.setWriteDeadline(time.Now().Add(time.Minute))
		written, err := p.Write(data)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, pipeSize, written, "nobody reads")
		p.setWriteDeadline(time.Now().Add(time.Minute))
		go func() {
			p.Write(data[written:])
			p.closeWrite(io.EOF)
		}()
		got, err := io.ReadAll(p)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(data, got))
		p.closeRead(net.ErrClosed) // stops the timer, or the bubble would wait for it
	})
}

// A deadline that is moved is not the old one.
func TestPipe_DeadlineIsMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		p.setReadDeadline(time.Now().Add(time.Minute))
		began := time.Now()
		go func() {
			<-time.After(30 * time.Second)
			p.setReadDeadline(time.Now().Add(time.Minute))
		}()
		_, err := p.Read(make([]byte, 1))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, 90*time.Second, time.Since(began))
		synctest.Wait()
		go func() {
			<-time.After(time.Second)
			p.setReadDeadline(time.Unix(1, 0)) // ends who waits
		}()
		p.setReadDeadline(time.Time{})
		_, err = p.Read(make([]byte, 1))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, 91*time.Second, time.Since(began))
	})
}

func TestPipe_ClosingEndsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		p := newPipe()
		read, wrote := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := p.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		p.closeRead(broken)
		assert.ErrorIs(t, <-read, broken)
		assert.ErrorIs(t, p.setReadDeadline(time.Now()), net.ErrClosed)

		p = newPipe()
		go func() {
			_, err := p.Write(make([]byte, 2*pipeSize))
			wrote <- err
		}()
		synctest.Wait()
		p.closeWrite(io.EOF)
		assert.ErrorIs(t, <-wrote, net.ErrClosed)
		_, err := p.Write([]byte("x"))
		assert.ErrorIs(t, err, net.ErrClosed)
		got, err := io.ReadAll(p)
		assert.NoError(t, err)
		assert.Len(t, got, pipeSize, "what was in it can be read")
	})
}
