package main

// A lever is a piece of code that is there for speed. Without it, where old is new, the
// framework does the same.
type lever struct {
	name      string
	file      string // in final
	old, new  string
	leftAside bool // tried and not kept: new puts it in
	safety    bool // it costs time, and is there because of what peers may send
}

var levers = []lever{
	{
		name: "a caller that is alone reads its own reply",
		file: "rpc/client_read.go",
		old:  "\tif len(c.pending) > 1 || c.streams.open() > 0 {\n",
		new:  "\tif len(c.pending) > 0 {\n",
	},
	{
		name: "a sender writes itself, and wakes no goroutine for it",
		file: "rpc/write_flush.go",
		old:  "\tif !f.inline {\n\t\tgo f.flushAll()\n",
		new:  "\tif f != nil {\n\t\tgo f.flushAll()\n",
	},
	{
		name: "a sender lets others append first, and writes for all",
		file: "rpc/write_flush.go",
		old:  "\tif yield {\n",
		new:  "\tif yield && f == nil {\n",
	},
	{
		name: "NonBlocking methods run on the goroutine that reads",
		file: "rpc/server_read.go",
		old:  "\tif !call.method.info.NonBlocking ||",
		new:  "\tif !call.method.info.NonBlocking || f != nil ||",
	},
	{
		name: "the replies to all calls of one read leave in one write",
		file: "rpc/server_read.go",
		old:  "\t\tif c.inline.unsent && !c.in.Buffered() {\n",
		new:  "\t\tif c.inline.unsent {\n",
	},
	{
		name: "records of calls are used again at the client",
		file: "rpc/client_call.go",
		old:  "\tc.owner.records.Put(call)\n",
		new:  "",
	},
	{
		name: "buffers are used again",
		file: "internal/bytepool/bytepool.go",
		old:  "\tif b := classes[n].take(n); b != nil {\n",
		new:  "\tif b := classes[n].take(n); b != nil && n > maxBits {\n",
	},
	{
		name: "whether a type is a protobuf message is remembered",
		file: "codec/protobuf/json.go",
		old:  "\tif t.Kind() != reflect.Pointer {\n\t\treturn false\n\t}\n\tknown, ok",
		new:  "\tif t.Kind() != reflect.Pointer || !t.Implements(messageType) {\n\t\treturn false\n\t}\n\tknown, ok",
	},
	{
		name:   "the memory of what peers make it hold is counted",
		file:   "rpc/server_memory.go",
		old:    "const uncounted = 4 << 10\n",
		new:    "const uncounted = 1 << 30\n",
		safety: true,
	},
	{
		name:      "replies leave before the last call of a read has run",
		file:      "rpc/server_read.go",
		old:       "\tinline.unsent = true\n\treturn nil\n",
		new:       "\tinline.unsent = true\n\tif call.id%16 == 0 {\n\t\tc.sendReplies()\n\t}\n\treturn nil\n",
		leftAside: true,
	},
}
