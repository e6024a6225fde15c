// Package types holds the types of WIT that Go has not: what the generated bindings speak in.
package types

// The two cases of an [Option].
const (
	OptionNone = iota
	OptionSome
)

// Option is a value that may be missing.
type Option[T any] struct {
	present bool
	value   T
}

// Some is a value that is there.
func Some[T any](value T) Option[T] { return Option[T]{true, value} }

// None is no value.
func None[T any]() Option[T] { return Option[T]{} }

// Tag tells which case it is.
func (o Option[T]) Tag() uint8 {
	if o.present {
		return OptionSome
	}
	return OptionNone
}

// Some gives the value, and panics if there is none.
func (o Option[T]) Some() T {
	if !o.present {
		panic("the option is none")
	}
	return o.value
}

// Get gives the value, and whether there is one.
func (o Option[T]) Get() (T, bool) { return o.value, o.present }

// The two cases of a [Result].
const (
	ResultOk = iota
	ResultErr
)

// Result is a value or an error.
type Result[T, E any] struct {
	failed bool
	value  T
	err    E
}

// Ok is a value.
func Ok[T, E any](value T) Result[T, E] { return Result[T, E]{value: value} }

// Err is an error.
func Err[T, E any](err E) Result[T, E] { return Result[T, E]{failed: true, err: err} }

// Tag tells which case it is.
func (r Result[T, E]) Tag() uint8 {
	if r.failed {
		return ResultErr
	}
	return ResultOk
}

// Ok gives the value, and panics if it is an error.
func (r Result[T, E]) Ok() T {
	if r.failed {
		panic("the result is an error")
	}
	return r.value
}

// Err gives the error, and panics if it is a value.
func (r Result[T, E]) Err() E {
	if !r.failed {
		panic("the result is no error")
	}
	return r.err
}

// Tuple2 is a pair.
type Tuple2[T0, T1 any] struct {
	F0 T0
	F1 T1
}

// Unit is nothing.
type Unit struct{}
