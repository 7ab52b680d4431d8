// Package predict has the answers to the questions that the lessons ask under "Predict",
// and why the tempting ones are wrong.
package predict

// A Prediction is what a lesson's question is answered with.
type Prediction struct {
	Ours     string
	Tempting []Tempting
}

// Tempting is an answer that readers give, and why it is wrong.
type Tempting struct{ Answer, Wrong string }

// Of returns the prediction of a station; false if its lesson asks for none.
func Of(station string) (Prediction, bool) {
	p, ok := all[station]
	return p, ok
}

var all = map[string]Prediction{
	"01": {
		"The first client gets 1,024 letters and no newline. The second gets its first line, or both lines: that depends on what had arrived when the server called Read.",
		[]Tempting{
			{"All 2,000 letters come back.", "Read knows no lines. It returns as soon as some bytes are there, and never more than its buffer holds."},
			{"The long line is an error.", "Read reports none: the letters that do not fit stay in the connection until the next Read, and there is no next one."},
			{"The second client always gets both lines, since TCP keeps the order.", "TCP keeps the order of bytes. It does not say how many of them one Read returns, and this server calls Read once."},
		},
	},
	"02": {
		"No. The server closes before it has read everything, so TCP sends a reset, and the client may see an error in place of the answer.",
		[]Tempting{
			{"Yes: the answer was written before the connection was closed.", "Written means handed to the system. The client may still be in Write, and then a reset fails that Write. Some systems even discard an answer that has arrived and was not read."},
			{"Yes: TCP delivers what it has accepted.", "It does so until one side gives up. A reset says that this side has given up."},
		},
	},
	"03": {
		"Yes, yes, no. The first two lines were whole responses of our protocol, read to their end. After hello, the other side does not speak our protocol, and could send anything next.",
		[]Tempting{
			{"No after the error: a call that failed breaks the connection.", "The server answered. The method failed, and the connection did its work."},
			{"No after the wrong type: the client could not decode the result.", "It had read the whole line before. Where the next message begins is known."},
			{"Yes after hello: that was a whole line, too.", "Its end is known, and its meaning is not. A peer that sends it speaks something else, so no later line can be trusted."},
		},
	},
	"4a": {
		"5 does not reach the function: json.Unmarshal refuses a number for a string. null would reach it, with the empty string, which the client never sent. Our server refuses it: Request.decode returns errNoParams.",
		[]Tempting{
			{"5 arrives as \"5\".", "encoding/json converts no number into a string: it returns an error."},
			{"null is refused, since it is no string.", "json.Unmarshal leaves the variable as it is for null, and returns no error. A check of our own has to refuse it."},
		},
	},
	"4b": {
		"The next deposit waits for ever: TryLock has locked the mutex, and the stranger does not unlock it.",
		[]Tempting{
			{"Nothing, since TryLock is a method of the mutex and not of the till.", "The mutex is an embedded field, so its methods are promoted: they are in the method set of *Till."},
			{"The deposit fails with an error.", "Lock returns no error. It waits, without a limit."},
			{"The lock is released when the stranger disconnects.", "A mutex knows no owner and no connection. Only Unlock releases it."},
		},
	},
	"5a": {
		"The third caller gets the answer to quick: from the first timeout on, every call is one answer behind. Waiting would not have helped the second caller, since the late answer to slow stays in the connection and the next Read returns it first.",
		[]Tempting{
			{"Its own: the late answer was dropped with its call.", "The call has ended, and the bytes have not. They wait in the connection for the next Read."},
			{"The third call fails.", "What it reads is a valid response. Nothing in it says whose it is, since the messages have no id."},
			{"After a second all is well.", "Waiting does not take the late answer out of the connection. It only makes sure that it is there to be read."},
		},
	},
	"5b": {
		"Neither returns. The first caller is inside Write, the second inside Lock, and neither looks at its context.",
		[]Tempting{
			{"Both: the select ends with the context.", "They have not reached the select. It comes after the request has been written."},
			{"The second: it only waits.", "Lock of a sync.Mutex waits without a limit, and no select can wait for it."},
			{"The first: its Write fails after a second.", "A context ends no Write. Only a deadline of the connection does, or closing it."},
		},
	},
	"5c": {
		"None. The connection would be closed long before the first method returns.",
		[]Tempting{
			{"All ten: the goroutines go on.", "They do, and have nowhere to write to: the connection is closed."},
			{"The first one.", "All ten methods take ten seconds, and the connection is closed after a millisecond."},
			{"None, and that is right: the client has closed.", "It has closed its sending side. It still reads, as cmd/raw does when its input ends."},
		},
	},
	"5d": {
		"Only the first. A request with an id has a goroutine of its own, and the loop reads on until it sees the end of the connection.",
		[]Tempting{
			{"Both: the connection ends for both.", "A request without an id runs inside the loop. While its method runs nobody reads, and a server that does not read does not see the end."},
			{"Neither: a process that dies says nothing.", "The system closes the sockets of a process that dies, and a Read then returns."},
		},
	},
	"5e": {
		"The first client sends nothing: the call fails at once, with the error deadline exceeded. The second sends 2000.",
		[]Tempting{
			{"0 for 0.4 milliseconds.", "0 means that there is no limit: the server would work for a caller that has gone."},
			{"1 for 0.4 milliseconds.", "The request would state more time than the caller has. It is rounded down."},
			{"3000 for three seconds.", "The request waited a second for the lock. The time left is measured under the lock, as late as possible."},
		},
	},
	"5f": {
		"It finds an entry for 7, but that belongs to the new call. The result is dropped, since finish compares the calls and not only the ids.",
		[]Tempting{
			{"It finds nothing, since call 7 was answered.", "The client has used the id again, so the list has a 7."},
			{"The result goes to the client with id 7.", "The client would take it for the result of its new call, and could not know better."},
		},
	},
	"6a": {
		"No. When a call's context ends, Call returns, and its caller may use quantity again while the codec still decodes. Two goroutines would write one variable.",
		[]Tempting{
			{"Yes: the caller waits in Call until the response is there.", "It waits for the response or for the end of its context, whichever is first."},
			{"Yes, if the codec looks at the context first.", "The context can end between that look and the write."},
		},
	},
	"6b": {
		"It depends on how the encoder is used. On one kept stream, gob is shorter and faster, with one line and with 500. With a new encoder for each message, an order of one line is longer than its JSON and takes longer; 500 lines are shorter and faster. The figures are at the end of 6c.",
		[]Tempting{
			{"Gob is shorter, since it is binary.", "A new encoder describes its types first. For a small message, the description is longer than the message."},
			{"Gob is faster by a fixed share.", "The description costs the same for each encoder, so the share depends on the size."},
		},
	},
	"6c": {
		"White space, a quote, a digit, a minus, or one of { [ t f n, and never R. A server of step 05 takes the hello for a line of bad JSON, and answers so.",
		[]Tempting{
			{"Only {.", "Our requests begin with it. JSON has other values, and white space may precede each of them."},
			{"It does not answer, or closes the connection.", "A line that is no JSON is an invalid request, and step 05 answers these and reads on."},
		},
	},
	"07": {
		"0 are left. One customer has the unit. The other gets the error, and knows that it was too late.",
		[]Tempting{
			{"-1 are left, since both have seen one unit.", "That is the article's way, where Take does not check. Here it checks under the lock that it takes the unit under."},
			{"Both have the unit: the first check was right.", "It was right when it was made. An answer about the stock is out of date as soon as the lock is free."},
		},
	},
}
