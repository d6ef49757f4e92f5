#pragma once
#include <postgresql/libpq-fe.h>

/// Makes the library ignore all notices: by default it prints them to standard error.
void tgp_pg_silence(PGconn *connection);
