package wire

// AppendResponse begins a response frame, which body bytes of a result complete. The
// metadata have at most MaxReplyMetadata bytes. Without any, the frame has no field for them.
func AppendResponse(dst []byte, flags uint8, id uint64, md map[string]string, body int) []byte {
	if len(md) > 0 {
		flags |= FlagReplyMetadata
	}
	dst = AppendHeader(dst, KindResponse, flags, id, ReplyMetadataSize(md)+body)
	return appendBlock(dst, md)
}

// Response is a response frame taken apart. Its slices point into the frame.
type Response struct {
	Metadata []byte // for [ParsePairs]; nil without FlagReplyMetadata
	Body     []byte // the result
}

// ParseResponse takes the payload of a response apart. With an error, what could be read
// is returned too.
func ParseResponse(f *Frame) (Response, error) {
	if f.Flags&FlagReplyMetadata == 0 {
		return Response{Body: f.Payload}, nil
	}
	in := fields{b: f.Payload}
	md := in.take(in.uint16("size of the metadata"), "metadata")
	if in.bad() {
		return Response{Metadata: md}, in.explain(malformed(0, "truncated response %d", f.ID), HeaderSize+len(f.Payload))
	}
	return Response{md, in.b}, nil
}
