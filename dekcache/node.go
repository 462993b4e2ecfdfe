package dekcache

// node is what a shard's LRU holds for a key. It stands between key and Entry
// so that an Entry in a caller's hands does not refer to the key.
type node[K comparable, V any] struct {
	key   K
	entry *Entry[V]
	// soon is when a use has more to do than to return the value: to refresh
	// it, or to find it expired. Never after the entry's deadline.
	soon int64
	pos  int // index in the shard's expiryHeap
}

// expiryHeap orders a shard's nodes by deadline, so that a sweep touches
// nothing but what has expired. It implements heap.Interface.
type expiryHeap[K comparable, V any] []*node[K, V]

func (h expiryHeap[K, V]) Len() int { return len(h) }

func (h expiryHeap[K, V]) Less(i, j int) bool { return h[i].entry.deadline < h[j].entry.deadline }

func (h expiryHeap[K, V]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

func (h *expiryHeap[K, V]) Push(x any) {
	n := x.(*node[K, V])
	n.pos = len(*h)
	*h = append(*h, n)
}

func (h *expiryHeap[K, V]) Pop() any {
	last := len(*h) - 1
	n := (*h)[last]
	(*h)[last] = nil // or the spare capacity would keep the key
	*h = (*h)[:last]
	return n
}
