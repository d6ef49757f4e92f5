#include "CPostgres.h"

#include "CLoader.h"

#define POSTGRES_FUNCTIONS(F) \
    F(PGconn *, PQconnectStartParams, (const char *const *keys, const char *const *values, int expand), (keys, values, expand)) \
    F(PostgresPollingStatusType, PQconnectPoll, (PGconn * connection), (connection)) \
    F(PGTransactionStatusType, PQtransactionStatus, (const PGconn *connection), (connection)) \
    F(PGVerbosity, PQsetErrorVerbosity, (PGconn * connection, PGVerbosity verbosity), (connection, verbosity)) \
    F(int, PQsocket, (const PGconn *connection), (connection)) \
    F(ConnStatusType, PQstatus, (const PGconn *connection), (connection)) \
    F(void, PQfinish, (PGconn * connection), (connection)) \
    F(char *, PQerrorMessage, (const PGconn *connection), (connection)) \
    F(const char *, PQparameterStatus, (const PGconn *connection, const char *name), (connection, name)) \
    F(int, PQserverVersion, (const PGconn *connection), (connection)) \
    F(PQnoticeProcessor, PQsetNoticeProcessor, (PGconn * connection, PQnoticeProcessor processor, void *context), \
      (connection, processor, context)) \
    F(PGresult *, PQexec, (PGconn * connection, const char *sql), (connection, sql)) \
    F(PGresult *, PQprepare, (PGconn * connection, const char *name, const char *sql, int count, const Oid *types), \
      (connection, name, sql, count, types)) \
    F(PGresult *, PQexecPrepared, \
      (PGconn * connection, const char *name, int count, const char *const *values, const int *sizes, const int *formats, \
       int format), \
      (connection, name, count, values, sizes, formats, format)) \
    F(int, PQsendQueryPrepared, \
      (PGconn * connection, const char *name, int count, const char *const *values, const int *sizes, const int *formats, \
       int format), \
      (connection, name, count, values, sizes, formats, format)) \
    F(int, PQsetSingleRowMode, (PGconn * connection), (connection)) \
    F(PGresult *, PQgetResult, (PGconn * connection), (connection)) \
    F(int, PQputCopyData, (PGconn * connection, const char *bytes, int count), (connection, bytes, count)) \
    F(int, PQputCopyEnd, (PGconn * connection, const char *error), (connection, error)) \
    F(int, PQgetCopyData, (PGconn * connection, char **bytes, int async), (connection, bytes, async)) \
    F(void, PQfreemem, (void *memory), (memory)) \
    F(ExecStatusType, PQresultStatus, (const PGresult *result), (result)) \
    F(char *, PQresultErrorField, (const PGresult *result, int field), (result, field)) \
    F(char *, PQresultErrorMessage, (const PGresult *result), (result)) \
    F(char *, PQcmdTuples, (PGresult * result), (result)) \
    F(void, PQclear, (PGresult * result), (result)) \
    F(int, PQntuples, (const PGresult *result), (result)) \
    F(int, PQnfields, (const PGresult *result), (result)) \
    F(char *, PQfname, (const PGresult *result, int column), (result, column)) \
    F(char *, PQgetvalue, (const PGresult *result, int row, int column), (result, row, column)) \
    F(int, PQgetlength, (const PGresult *result, int row, int column), (result, row, column)) \
    F(int, PQgetisnull, (const PGresult *result, int row, int column), (result, row, column)) \
    F(PGcancel *, PQgetCancel, (PGconn * connection), (connection)) \
    F(void, PQfreeCancel, (PGcancel * cancel), (cancel)) \
    F(int, PQcancel, (PGcancel * cancel, char *message, int size), (cancel, message, size))

TGP_LAZY_LIBRARY(POSTGRES_FUNCTIONS, TGP_NO_VARIADIC, "libpq.so.5", "libpq5")

static void ignore(void *context, const char *message) {
    (void)context;
    (void)message;
}

void tgp_pg_silence(PGconn *connection) { PQsetNoticeProcessor(connection, ignore, NULL); }
