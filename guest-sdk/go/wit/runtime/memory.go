package runtime

import "unsafe"

type pointer = unsafe.Pointer

func allocate(size, align uintptr) pointer {
	switch align {
	case 1:
		return pointer(unsafe.SliceData(make([]uint8, size)))
	case 2:
		return pointer(unsafe.SliceData(make([]uint16, (size+1)/2)))
	case 4:
		return pointer(unsafe.SliceData(make([]uint32, (size+3)/4)))
	default:
		return pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	}
}
