// Package load writes to an ensemble in pipelines and knows afterwards, write by write, what has to be there: the oracle of the
// fault tests.
//
// A [Client] keeps a number of writes in flight on one connection, of two kinds:
//
//	create <folder>/c<client>-<k>-<sequence>   k = 0, 1, 2 …: a repeat or a loss shows in the folder's list,
//	                                            and the server's sequence numbers show the order they were applied in
//	set <folder>/n<client> version v           v = 0, 1, 2 …: a repeat or a loss makes the next one fail with BADVERSION
//
// [Verify] reads the folder through any server and compares: acked <= there <= sent, each once, in order.
//
// Only end-to-end tests use it.
package load
