#include "CSQLite.h"

#include "CLoader.h"

#define SQLITE_FUNCTIONS(F) \
    F(int, sqlite3_open_v2, (const char *path, sqlite3 **database, int flags, const char *vfs), (path, database, flags, vfs)) \
    F(int, sqlite3_close, (sqlite3 * database), (database)) \
    F(int, sqlite3_busy_timeout, (sqlite3 * database, int milliseconds), (database, milliseconds)) \
    F(int, sqlite3_limit, (sqlite3 * database, int id, int value), (database, id, value)) \
    F(int, sqlite3_exec, \
      (sqlite3 * database, const char *sql, int (*callback)(void *, int, char **, char **), void *context, char **message), \
      (database, sql, callback, context, message)) \
    F(const char *, sqlite3_errmsg, (sqlite3 * database), (database)) \
    F(const char *, sqlite3_errstr, (int code), (code)) \
    F(void, sqlite3_free, (void *memory), (memory)) \
    F(int, sqlite3_prepare_v2, \
      (sqlite3 * database, const char *sql, int size, sqlite3_stmt **statement, const char **rest), \
      (database, sql, size, statement, rest)) \
    F(int, sqlite3_prepare_v3, \
      (sqlite3 * database, const char *sql, int size, unsigned int flags, sqlite3_stmt **statement, const char **rest), \
      (database, sql, size, flags, statement, rest)) \
    F(int, sqlite3_step, (sqlite3_stmt * statement), (statement)) \
    F(int, sqlite3_reset, (sqlite3_stmt * statement), (statement)) \
    F(int, sqlite3_clear_bindings, (sqlite3_stmt * statement), (statement)) \
    F(int, sqlite3_finalize, (sqlite3_stmt * statement), (statement)) \
    F(int, sqlite3_bind_null, (sqlite3_stmt * statement, int index), (statement, index)) \
    F(int, sqlite3_bind_int64, (sqlite3_stmt * statement, int index, sqlite3_int64 value), (statement, index, value)) \
    F(int, sqlite3_bind_double, (sqlite3_stmt * statement, int index, double value), (statement, index, value)) \
    F(int, sqlite3_bind_text, (sqlite3_stmt * statement, int index, const char *text, int size, void (*free)(void *)), \
      (statement, index, text, size, free)) \
    F(int, sqlite3_bind_blob, (sqlite3_stmt * statement, int index, const void *bytes, int size, void (*free)(void *)), \
      (statement, index, bytes, size, free)) \
    F(int, sqlite3_column_count, (sqlite3_stmt * statement), (statement)) \
    F(int, sqlite3_column_type, (sqlite3_stmt * statement, int column), (statement, column)) \
    F(int, sqlite3_column_bytes, (sqlite3_stmt * statement, int column), (statement, column)) \
    F(sqlite3_int64, sqlite3_column_int64, (sqlite3_stmt * statement, int column), (statement, column)) \
    F(double, sqlite3_column_double, (sqlite3_stmt * statement, int column), (statement, column)) \
    F(const unsigned char *, sqlite3_column_text, (sqlite3_stmt * statement, int column), (statement, column)) \
    F(const void *, sqlite3_column_blob, (sqlite3_stmt * statement, int column), (statement, column)) \
    F(int, sqlite3_changes, (sqlite3 * database), (database)) \
    F(sqlite3_int64, sqlite3_last_insert_rowid, (sqlite3 * database), (database))

#define SQLITE_VARIADIC(F) F(int, sqlite3_config, (int option, ...), )

TGP_LAZY_LIBRARY(SQLITE_FUNCTIONS, SQLITE_VARIADIC, "libsqlite3.so.0", "libsqlite3-0")

int tgp_sqlite_start(void) {
    pthread_once(&once, load);
    int status = p_sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    return status == SQLITE_OK ? p_sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0) : status;
}
