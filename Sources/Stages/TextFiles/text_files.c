// The texts as they are in data/.
//
// Their digests are here so that a change of them is built; `make check` compares them, and prints those that it found.
// ar.toml: 64f0ab53cd7f4dbf14218254878759015ea16175176385b3527f81a6b2a59edb
// de.toml: 4cdfea14ba3d24c0c14d0b65e5a486f455725c914a60e6b11cef927335ef407c
// en.toml: 4fdc7bdd10b89d255243a9b6affd0beea1b30cc216eb1a2b717d27aa49aa204d
// es.toml: cb0ef5e0c5c1d07efaebda37ecfa041317769a3f4e376a9551866ed43dd725a5
// fa.toml: 53e0758e3e38b2cd499313ea8cf69dbbb55e55a1a13b76ff102e3326a20ece8d
// pt.toml: 67838afed4fa21a1459d3670426cc6bf583398026fb70f1054cc8daebdea1003
// ru.toml: f619d17ff644b587004ccb9bf9bad6c5a077c32e2a6c3e83ddbc26cb0dc7c68f

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
