// The texts as they are in data/.
//
// Their digests are here so that a change of them is built; `make check` compares them, and prints those that it found.
// ar.toml: da3261bb84d3fe5bcdd858f2346657f593b09b589a02b4a7db0c6e42e6a1ca79
// de.toml: dbce9e1522ec5f0d88dbd53384edfa9d5584bcd6f9fdd8d3ac90f3496e84ae24
// en.toml: 1385154d8dd0fdb2b3b82da4477e97df90fc402b8474c4d46fc7fab784f0ec44
// es.toml: cb5fec0f48ec058d8d4e6215f026490d38124dc91bc8d59e76885700f47a5b1b
// fa.toml: bff95f11f4770a290bf1c99424ff40800898f09bf0300ff84ac1707c5c97e20b
// pt.toml: 22da37331a80f04aad94ecab5fbd839e4cba77910ef1501819f8b47ab2cc00b1
// ru.toml: 8b7e664bb186819e74098358725c517d74cb60351bf7a8ce3da845e301a4b564

#include "TextFiles.h"

#include <string.h>

#define TEXTS(NAME)                                                                                                     \
    extern const char tgp_texts_##NAME[], tgp_texts_##NAME##_end[];                                                     \
    __asm__(".pushsection .rodata\n.global tgp_texts_" #NAME "\ntgp_texts_" #NAME ":\n.incbin \"" #NAME ".toml\"\n"       \
            ".global tgp_texts_" #NAME "_end\ntgp_texts_" #NAME "_end:\n.byte 0\n.popsection\n")

TEXTS(en);
TEXTS(de);
TEXTS(ru);
TEXTS(es);
TEXTS(pt);
TEXTS(fa);
TEXTS(ar);

#define IS(NAME)                                                                                                        \
    if (strcmp(language, #NAME) == 0)                                                                                   \
    return (tgp_text_file){tgp_texts_##NAME, (size_t)(tgp_texts_##NAME##_end - tgp_texts_##NAME)}

tgp_text_file tgp_text_file_of(const char *language) {
    IS(en);
    IS(de);
    IS(ru);
    IS(es);
    IS(pt);
    IS(fa);
    IS(ar);
    return (tgp_text_file){NULL, 0};
}
