// The texts as they are in data/.
//
// Their digests are here so that a change of them is built; `make check` compares them, and prints those that it found.
// ar.toml: a8bda54693d8eeedd44849f6ea6a7e26e1417b87fc07d3a40ca01cce540e3883
// de.toml: ca01859e6fd8fbbfd6a3331c32c7d256557da78fb3e06c7143e164bcbed79a99
// en.toml: b20f89e9933e3099badb1d7f02861a7b2c1fa71d234b277e138a183d0cebc941
// es.toml: 3247114d5b2d23d8d1aed24a81d0d489bb06e0be3df7ef02e0165f594ead6beb
// fa.toml: 8f537e7aa1b61d3f18b37549b32419f96c2cd92f46f1522d8e7e6f32831ddfe9
// pt.toml: 42c7960d1e682fd66c3d2605d032f8a28a102f7d7c6e94bdd1dee911ef3a2671
// ru.toml: a93af14ecbd763fae9dec743be600cfbf78adf44af11e4b62c4ff072673ad0a9

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
