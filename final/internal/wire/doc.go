// Package wire is final's protocol as bytes: it takes hellos and frames apart and puts
// them together, and cuts what arrives into frames. PROTOCOL.md describes it.
//
// It knows neither connections nor calls. What a message asks for, and whether it may be
// sent at that moment, is decided elsewhere.
//
// All numbers are big-endian and unsigned. Each side begins with a hello, the client
// first; the layout of its first seven bytes is the same in every version to come:
//
//	0        4         5        7
//	| magic  | version | length | length bytes |
//	  93 'R' 'P' 'C'
//
//	client:  | 1 n | n codec name | 4 largest message that the client reads | metadata pairs … |
//	server:  | 1 code | 4 calls in flight | 4 largest message that the server reads | text … |
//
// Code 0 accepts; the text then says what is granted of what the client's
// metadata offer. Any other code is the reason for a refusal and the end. A server
// answers in its own version; a client that speaks it too may connect again with it.
//
// Then frames go both ways. The length counts what follows it, so at least 10:
//
//	0         4      5       6          14
//	| length  | kind | flags | call ID  | the kind's fields … |
//
//	1 request   c→s  | 4 timeout in ms, 0 none | 2 m | m method | [2 n | n metadata pairs] | params … |
//	2 response  s→c  | {2 m | m metadata pairs} | result … |
//	3 error     s→c  | 1 code | 2 t | t text | [2 n | n detail pairs] | {2 m | m metadata pairs} |
//	4 cancel    c→s  (no fields: the caller does not wait any more)
//	5 ping      both (no fields; the receiver sends the ID back)
//	6 pong      both (no fields)
//	7 go-away   s→c  | 1 code | 2 t | t text |   ID: the last call that is served
//	8–13             streams, only if the hellos have agreed upon them:
//
//	8 open      c→s  | 4 timeout in ms, 0 none | 1 shape | 2 m | m method | [2 n | n metadata pairs] | params … |
//	9 data      both | item, or a part of it … |
//	10 end      c→s  (no fields: no more items)
//	            s→c  | 1 code | 2 t | t text | [2 n | n detail pairs] | {2 m | m trailer pairs} |
//	11 credit   both | 4 bytes |
//	12 want     both | 4 bytes |
//	13 header   s→c  | metadata pairs … |
//
//	flags:  01 metadata or detail pairs are there    request, error, open, end
//	        02 the gob stream starts anew            request, response
//	        04 gob, self-contained: its own stream   request, response
//	        08 the handler was never started         error, end
//	        10 the body is gzip; only if the hellos  request, response, open, data
//	           have agreed upon it
//	        20 the reply's metadata are there: {}    response, error, end
//	           only if the hellos have agreed upon it
//	        40 the item goes on in the next frame    data
//
// Pairs are | 2 k | k key | 2 v | v value |, one after the other. A flag that the
// table does not give to a kind, an unknown kind, a length out of bounds and
// fields that do not fit end the connection, with a go-away if the server finds them.
//
// Call IDs begin at 1 and rise with every request. Each request gets one
// response or error, a cancelled one too, in any order; until then it counts
// against the server's bound of calls in flight. Opens take IDs of the same row. Each gets
// one end of the server's.
package wire
