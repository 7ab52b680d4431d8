package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
)

// MethodInfo describes a registered method.
type MethodInfo struct {
	Name string // "Service.Method"
	Kind MethodKind

	// What the method takes and returns, without pointers. Params is nil if it
	// takes nothing, Reply if it returns only an error. Of a stream they are the
	// request, or the client's item, and the reply, or the server's item.
	Params reflect.Type
	Reply  reflect.Type

	NonBlocking bool // see [NonBlocking]
	Idempotent  bool // see [IdempotentMethod]
}

// MethodKind says how many messages a call of a method carries each way. A
// [ServerInterceptor] sees methods of the kind [Unary] only.
type MethodKind uint8

// The kinds. The numbers of streams are those of the protocol's shapes.
const (
	Unary           MethodKind = iota // one message of params, one result
	ServerStreaming                   // one request, many items: see [ServerStream]
	ClientStreaming                   // many items, one reply: see [ClientStream]
	BidiStreaming                     // many items each way: see [BidiStream]
)

// String returns the kind's name: "unary", "server stream".
func (k MethodKind) String() string {
	switch k {
	case Unary:
		return "unary"
	case ServerStreaming:
		return "server stream"
	case ClientStreaming:
		return "client stream"
	case BidiStreaming:
		return "bidi stream"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MethodOption changes how one method, or all methods of a receiver, are run.
// None says that a method is idempotent, since it is the client that sends a
// call again: declare an [IdempotentMethod] for both sides, or let the client
// use [MarkIdempotent].
type MethodOption interface{ configureMethod(*method) }

type methodOption func(*method)

func (f methodOption) configureMethod(m *method) { f(m) }

// NonBlocking promises that a method returns within microseconds and waits for
// nothing: no I/O, no calls, no lock held for long. The server may then run it
// on the goroutine that reads the connection, which saves a switch of
// goroutines. The promise includes interceptors and the decoding of the params.
// A method that breaks it delays its connection by a few milliseconds: then
// another goroutine takes over the reading.
func NonBlocking() MethodOption {
	return methodOption(func(m *method) { m.info.NonBlocking = true })
}

// vitalHandlers is how many calls of vital methods may run beyond [WithMaxHandlers].
const vitalHandlers = 64

// Vital marks a method that has to answer even on a full server, such as a
// health check: up to 64 calls of all such methods together may run beyond
// [WithMaxHandlers]. All other limits hold. It should be cheap and wait for
// nothing, because callers need it most when the server is busy.
func Vital() MethodOption {
	return methodOption(func(m *method) { m.vital = true })
}

// SkipUnfit makes [Server.Register] leave out exported methods that take params
// but cannot be called from outside, such as ServeHTTP. Without it, Register
// refuses their receiver. Elsewhere it is refused.
func SkipUnfit() MethodOption {
	return methodOption(func(m *method) { m.skipUnfit = true })
}

// method is one entry of the registry, checked and bound at registration.
type method struct {
	info       MethodInfo
	skipUnfit  bool          // see [SkipUnfit]
	vital      bool          // see [Vital]
	newParams  func() any    // a pointer to decode into; nil if the method takes nothing
	sizes      []SizeFunc    // what params can become, by the server's order of codecs
	replySizes replySizes    // of results that encode themselves
	handler    Handler       // with the server's interceptors around it
	stream     StreamHandler // in place of handler, if it is a stream
	server     *Server
}

// mayReturnError reports whether the method's type does not say that its result is no
// error.
func (m *method) mayReturnError() bool {
	return m.info.Reply == nil || m.info.Reply.Kind() == reflect.Interface
}

// errorIn returns a result, or what a pointer to an interface holds, if it is an error.
func errorIn(result any) error {
	if err, ok := result.(error); ok {
		return err
	}
	v := reflect.ValueOf(result)
	if v.Kind() == reflect.Pointer && !v.IsNil() && v.Elem().Kind() == reflect.Interface {
		err, _ := v.Elem().Interface().(error)
		return err
	}
	return nil
}

// apply applies the options of a registration.
func (m *method) apply(name string, opts []MethodOption) error {
	for i, opt := range opts {
		if opt == nil {
			return Errorf(InvalidArgument, "register %s: option %d of %d is nil", name, i+1, len(opts))
		}
		opt.configureMethod(m)
	}
	return nil
}

// unregistered is an error of a registration. Its text has no code, which errors.Is and
// CodeOf find all the same.
func unregistered(code Code, format string, args ...any) error {
	return &registerError{fmt.Sprintf(prefix+format, args...), code}
}

type registerError struct {
	text string
	code Code
}

func (e *registerError) Error() string { return e.text }
func (e *registerError) Unwrap() error { return e.code }

// registry finds methods by their exact names. Looking up takes no lock:
// registering, which is rare, replaces the map.
type registry struct {
	mu      sync.Mutex // one registration at a time
	methods atomic.Pointer[map[string]*method]
}

// find returns the method called name, or nil. It does not allocate.
func (r *registry) find(name []byte) *method {
	methods := r.methods.Load()
	if methods == nil {
		return nil
	}
	return (*methods)[string(name)]
}

// add registers all of added, or nothing.
func (r *registry) add(added []*method) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	methods := map[string]*method{}
	if old := r.methods.Load(); old != nil {
		maps.Copy(methods, *old)
	}
	for _, m := range added {
		if _, taken := methods[m.info.Name]; taken {
			return unregistered(AlreadyExists, "method %s is registered already", m.info.Name)
		}
		methods[m.info.Name] = m
	}
	r.methods.Store(&methods)
	return nil
}

// list returns what is registered, by name.
func (r *registry) list() []MethodInfo {
	methods := r.methods.Load()
	if methods == nil {
		return nil
	}
	infos := make([]MethodInfo, 0, len(*methods))
	for _, m := range *methods {
		infos = append(infos, m.info)
	}
	slices.SortFunc(infos, func(a, b MethodInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos
}

// checkName accepts "Service.Method": two or more parts of visible characters.
func checkName(name string, limit int) error {
	if len(name) > limit {
		return unregistered(InvalidArgument, "method name of %d bytes: at most %d are allowed", len(name), limit)
	}
	service, rest, dotted := strings.Cut(name, ".")
	if !dotted || service == "" || rest == "" {
		return unregistered(InvalidArgument, "method name %q: want Service.Method", name)
	}
	if !oneLine(name) || strings.ContainsFunc(name, unicode.IsSpace) {
		return unregistered(InvalidArgument, "method name %q: white space, control characters or invalid UTF-8", name)
	}
	return nil
}

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// bind makes a method of a function value: func([ctx,] [params]) ([result,] [error])
// with at least one of ctx and params or, with bare allowed, neither, and at
// least one result.
func bind(name string, fn reflect.Value, bare bool) (*method, error) {
	t := fn.Type()
	m := &method{info: MethodInfo{Name: name}}
	in := 0
	takesContext := t.NumIn() > 0 && t.In(0) == contextType
	if takesContext {
		in++
	}
	var params reflect.Type
	if in < t.NumIn() {
		params = t.In(in)
		in++
	}
	if t.IsVariadic() || in != t.NumIn() || (in == 0 && !bare) {
		return nil, unregistered(InvalidArgument, "register %s: %s: want func([context.Context,] [params]) ([result,] [error]); a stream is registered by its declaration, such as ServerStream.Handle", name, t)
	}
	results := t.NumOut()
	fails := results > 0 && t.Out(results-1) == errorType
	if fails {
		results--
	}
	switch {
	case results > 1 || t.NumOut() == 0:
		return nil, unregistered(InvalidArgument, "register %s: %s: want a result, an error, or both", name, t)
	case results == 1 && !fails && t.Out(0).Implements(errorType):
		return nil, unregistered(InvalidArgument, "register %s: %s: a %s is an error, and would be sent as a result: want the type error", name, t, t.Out(0))
	case params != nil && (!isData(params) || params.Kind() == reflect.Interface && params.NumMethod() > 0):
		return nil, unregistered(InvalidArgument, "register %s: %s: a %s cannot travel: want data", name, t, params)
	case results == 1 && (!isData(t.Out(0)) || t.Out(0) == errorType):
		return nil, unregistered(InvalidArgument, "register %s: %s: a %s cannot travel: want data", name, t, t.Out(0))
	}
	if params != nil {
		m.info.Params = withoutPointers(params)
		m.newParams = newOf(params)
	}
	if results == 1 {
		m.info.Reply = withoutPointers(t.Out(0))
	}
	m.handler = reflectHandler(fn, takesContext, params, results == 1, fails)
	return m, nil
}

// isData reports whether values of t can travel at all.
func isData(t reflect.Type) bool {
	switch withoutPointers(t).Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Pointer:
		return false
	}
	return true
}

// newOf returns how to make what the codec decodes into: *T for T and for *T.
func newOf(t reflect.Type) func() any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return func() any { return reflect.New(t).Interface() }
}

// withoutPointers returns what t points to in the end. A pointer to itself (type P *P)
// stays one.
func withoutPointers(t reflect.Type) reflect.Type {
	for n := 0; t.Kind() == reflect.Pointer && n < maxPointers; n++ {
		t = t.Elem()
	}
	return t
}

// maxPointers bounds how many pointers may lead from one to the next.
const maxPointers = 100

// reflectHandler calls fn with what its signature asks for.
func reflectHandler(fn reflect.Value, takesContext bool, params reflect.Type, returns, fails bool) Handler {
	return func(ctx context.Context, p any) (any, error) {
		var array [2]reflect.Value
		args := array[:0]
		if takesContext {
			args = append(args, reflect.ValueOf(ctx))
		}
		if params != nil {
			arg := reflect.ValueOf(p)
			if params.Kind() != reflect.Pointer {
				arg = arg.Elem()
			}
			args = append(args, arg)
		}
		out := fn.Call(args)
		if fails {
			if err, _ := out[len(out)-1].Interface().(error); err != nil {
				return nil, err
			}
		}
		if !returns {
			return nil, nil
		}
		return out[0].Interface(), nil
	}
}

// methodsOf binds the methods of a receiver that may be called from outside:
// its own exported ones (not those that embedded fields have) that take a context
// and/or one value and return something. Close, String and TryLock take
// nothing, so they are not published. Others that do not fit are refused, all at
// once, or skipped.
func methodsOf(service string, receiver any, skipUnfit bool) ([]*method, error) {
	v := reflect.ValueOf(receiver)
	if isNil(receiver) {
		return nil, unregistered(InvalidArgument, "register %s: the receiver is nil%s", service, typeOfNil(receiver))
	}
	t := v.Type()
	var found []*method
	var unfit []error
	for i := range t.NumMethod() {
		if isPromoted(t, t.Method(i).Name) || v.Method(i).Type().NumIn() == 0 {
			continue
		}
		m, err := bind(service+"."+t.Method(i).Name, v.Method(i), false)
		if err != nil {
			unfit = append(unfit, err)
			continue
		}
		found = append(found, m)
	}
	if t.Kind() != reflect.Pointer && !skipUnfit {
		if missing := pointerMethods(service, t); missing != nil {
			return nil, missing
		}
	}
	if len(unfit) > 0 && !skipUnfit {
		return nil, fmt.Errorf("%w (rpc.SkipUnfit() leaves such methods out)", errors.Join(unfit...))
	}
	if len(found) > 0 {
		return found, nil
	}
	if t.Kind() != reflect.Pointer {
		if missing := pointerMethods(service, t); missing != nil {
			return nil, missing // also with SkipUnfit: nothing would be left
		}
	}
	return nil, unregistered(InvalidArgument, "register %s: %s has no method of its own that takes a context and/or one value and returns something", service, t)
}

// pointerMethods returns an error if a pointer to t has methods to publish that t has not.
func pointerMethods(service string, t reflect.Type) error {
	all, _ := methodsOf(service, reflect.New(t).Interface(), true)
	var missing []string
	for _, m := range all {
		name := strings.TrimPrefix(m.info.Name, service+".")
		if _, ok := t.MethodByName(name); !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return unregistered(InvalidArgument, "register %s: %s has no method %s; *%s has: register a pointer", service, t, strings.Join(missing, ", "), t)
}

// isPromoted reports whether t, or what t points to, is a struct with an embedded field
// that has a method of that name. It may then have come from the field, for which it
// was not meant to be published.
func isPromoted(t reflect.Type, method string) bool {
	s := withoutPointers(t)
	for i := 0; s.Kind() == reflect.Struct && i < s.NumField(); i++ {
		if f := s.Field(i); f.Anonymous && hasMethod(f.Type, method) {
			return true
		}
	}
	return false
}

func hasMethod(t reflect.Type, name string) bool {
	if _, ok := t.MethodByName(name); ok {
		return true
	}
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false
	}
	_, ok := reflect.PointerTo(t).MethodByName(name)
	return ok
}
