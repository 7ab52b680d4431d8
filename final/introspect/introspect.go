package introspect

import (
	"context"
	"errors"
	"fmt"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/rpc"
)

var (
	// List asks which services and methods there are.
	List = rpc.IdempotentMethod[ListRequest, ListReply]("Introspection.List")
	// Describe asks for one method's types. An unknown one is NotFound.
	Describe = rpc.IdempotentMethod[DescribeRequest, DescribeReply]("Introspection.Describe")
)

// introspection answers List and Describe. What is registered may change at any
// time, so every answer is made anew.
type introspection struct {
	server *rpc.Server
	health *health.Health // may be nil
}

// Register publishes Introspection.List and Introspection.Describe on srv. Each
// service's status comes from h; if h is nil, from the server's state. It fails
// if srv is nil or has a method of one of these names.
func Register(srv *rpc.Server, h *health.Health) error {
	if srv == nil {
		return errors.New("introspect: the server is nil")
	}
	in := &introspection{server: srv, health: h}
	if err := List.Handle(srv, in.list); err != nil {
		return fmt.Errorf("introspect: %w", err)
	}
	if err := Describe.Handle(srv, in.describe); err != nil {
		return fmt.Errorf("introspect: %w", err)
	}
	return nil
}

func (in *introspection) list(_ context.Context, req *ListRequest) (*ListReply, error) {
	reply := &ListReply{}
	var last *Service
	for _, info := range in.server.Methods() { // by name, so a service's methods are neighbours, almost
		name := health.ServiceOf(info.Name)
		if req.GetService() != "" && name != req.GetService() {
			continue
		}
		if last == nil || last.Name != name {
			last = reply.service(name)
			last.Status = string(in.status(name))
		}
		last.Methods = append(last.Methods, describeMethod(info))
	}
	if req.GetService() != "" && last == nil {
		return nil, rpc.Errorf(rpc.NotFound, "no service %q on this server", req.GetService())
	}
	return reply, nil
}

// service finds the service called name or adds it. "A.B.X" sorts between
// "A.A" and "A.C", so a service need not be the last one.
func (x *ListReply) service(name string) *Service {
	for _, s := range x.Services {
		if s.Name == name {
			return s
		}
	}
	s := &Service{Name: name}
	x.Services = append(x.Services, s)
	return s
}

func (in *introspection) status(service string) health.Status {
	if in.health == nil {
		if in.server.State() == rpc.Serving {
			return health.Serving
		}
		return health.Draining
	}
	status, _ := in.health.Status(service)
	return status
}

func (in *introspection) describe(_ context.Context, req *DescribeRequest) (*DescribeReply, error) {
	info, found := in.server.Method(req.GetMethod())
	if !found {
		return nil, rpc.Errorf(rpc.NotFound, "method not found: %s", req.GetMethod())
	}
	return describeTypes(info)
}

func describeMethod(info rpc.MethodInfo) *Method {
	m := newMethod(info)
	if info.Params != nil {
		m.Params = goName(info.Params)
	}
	if info.Reply != nil {
		m.Reply = goName(info.Reply)
	}
	return m
}

// newMethod is a method without its types.
func newMethod(info rpc.MethodInfo) *Method {
	m := &Method{Name: info.Name, NonBlocking: info.NonBlocking}
	if info.Kind != rpc.Unary {
		m.Kind = info.Kind.String()
	}
	return m
}

// describeTypes collects what is needed to encode and decode for a method.
func describeTypes(info rpc.MethodInfo) (*DescribeReply, error) {
	var types typeTable
	reply := &DescribeReply{Method: newMethod(info)}
	reply.Method.Params = types.add(info.Params)
	reply.Method.Reply = types.add(info.Reply)
	reply.ParamsMessage = types.files.add(info.Params)
	reply.ReplyMessage = types.files.add(info.Reply)
	reply.Types = types.list
	var err error
	if reply.Descriptors, err = types.files.encode(); err != nil {
		return nil, rpc.Errorf(rpc.Internal, "descriptors of %s: %w", info.Name, err)
	}
	return reply, nil
}
