package runtime

import "unsafe"

// Before Go's own start there is no collector: what is asked for then comes from the system, and stays.
var started bool

func init() { started = true }

//go:linkname sbrk runtime.sbrk
func sbrk(size uintptr) pointer

// Between these two the adapter answers a question for the time from memory. Go's collector asks for it, and nothing may be
// asked of the host while it hands over a value.
//
//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused bool)

// What the host calls for room for a value (cabi_realloc of the canonical ABI). It never asks for more room for an old one.
//
//go:wasmexport cabi_realloc
func realloc(old pointer, oldSize, align, size uintptr) pointer {
	if old != nil || oldSize != 0 {
		panic("the host asks for more room for a value")
	}
	if !started {
		start := uintptr(sbrk(size + align - 1))
		return unsafe.Add(pointer(nil), (start+align-1)&^(align-1))
	}
	pauseClock(true)
	block := Allocate(&handed, size, align)
	pauseClock(false)
	return block
}
