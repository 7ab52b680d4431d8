// The same service as shop.proto, for Thrift.
namespace go shopthrift

service Inventory {
  i64 CheckStock(1: string item)
  binary Echo(1: binary body)
}
