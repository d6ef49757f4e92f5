#include <qrencode.h>

#include "CLoader.h"

#define QRCODE_FUNCTIONS(F) \
    F(QRcode *, QRcode_encodeString8bit, (const char *text, int version, QRecLevel level), (text, version, level)) \
    F(void, QRcode_free, (QRcode * code), (code))

TGP_LAZY_LIBRARY(QRCODE_FUNCTIONS, TGP_NO_VARIADIC, "libqrencode.so.4", "libqrencode4")
