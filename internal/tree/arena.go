package tree

// pageLen is the number of elements in a page, the unit of copy on write. 64 records are 6 KiB: small enough to copy on a
// write, large enough that the page table is a thousandth of what it points to.
const pageLen = 64

// cow is the clock of copy on write, shared by the arenas of one tree.
//
//	shared < epoch
//	a page is seen by some live View  <=>  the page's epoch <= shared
type cow struct {
	epoch  uint64 // of pages that become private now; starts at 1
	shared uint64 // epoch of the youngest live View; 0 without one
}

type page[T any] [pageLen]T

// arena is a growing array of T in pages. T holds no pointers, so the garbage collector sees only the page table. Element 0 is
// never handed out: it stands for none.
type arena[T any] struct {
	cow    *cow
	pages  []*page[T]
	epochs []uint64 // epochs[i] is when pages[i] became private to the writer
	next   uint32   // elements ever handed out are below it
}

func newArena[T any](c *cow) arena[T] { return arena[T]{cow: c, next: 1} }

// at is element id for reading. The pointer is stale after edit of any element of the same page.
func (a *arena[T]) at(id uint32) *T { return &a.pages[id/pageLen][id%pageLen] }

// edit is element id for writing. The pointer is good until the next View is taken.
func (a *arena[T]) edit(id uint32) *T {
	p := id / pageLen
	if a.epochs[p] <= a.cow.shared {
		fresh := *a.pages[p]
		a.pages[p] = &fresh
		a.epochs[p] = a.cow.epoch
	}
	return &a.pages[p][id%pageLen]
}

// grow is the id of an element that was never handed out before.
func (a *arena[T]) grow() uint32 {
	id := a.next
	if int(id/pageLen) == len(a.pages) {
		a.pages = append(a.pages, new(page[T]))
		a.epochs = append(a.epochs, a.cow.epoch)
	}
	a.next++
	return id
}

// frozen is an arena as a View sees it.
type frozen[T any] struct {
	pages []*page[T]
	next  uint32
}

func (a *arena[T]) freeze() frozen[T] {
	return frozen[T]{pages: append([]*page[T](nil), a.pages...), next: a.next}
}

func (f *frozen[T]) at(id uint32) *T { return &f.pages[id/pageLen][id%pageLen] }
