#pragma once
#include <sqlite3.h>

/// Makes connections allocate the pages of their caches one by one, and does not count the memory in use. By default, each connection
/// begins with memory for 20 pages, which is most of what a process with many small databases holds, and all threads share a lock
/// for the counts.
///
/// It has to be called before all other functions, once. Returns SQLITE_OK, or the code of a failure, which does no harm.
int tgp_sqlite_start(void);
