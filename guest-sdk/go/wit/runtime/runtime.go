// Package runtime gives the memory that values take on their way between the host and Go.
package runtime

import "runtime"

// Allocate gives memory that stays where it is until the pinner lets go of it.
func Allocate(pinner *runtime.Pinner, size, align uintptr) pointer {
	if size == 0 {
		return nil
	}
	block := allocate(size, align)
	pinner.Pin(block)
	return block
}

// What the host has handed over. Go's collector knows of it once the bindings have made strings and slices of it.
var handed runtime.Pinner

// Unpin leaves what the host has handed over to Go's collector.
func Unpin() { handed.Unpin() }
