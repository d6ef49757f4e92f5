#pragma once
#include <hiredis/hiredis.h>

#include <stdbool.h>

// Tells whether the library is installed. The first call of one of its functions would end a program that lacks it.
bool tgp_has_hiredis(void);
