// The texts as they are in data/.
//
// Their digests are here so that a change of them is built; `make check` compares them, and prints those that it found.
// ar.toml: 0d5fdf05f7fd582883933194ae3d101b76fd96656fa586c593a1c7e4cafc6f2d
// de.toml: e5ead1ef9c1775991cb11e666343566b23c4da332c6bacfced5da3c7e2c676cf
// en.toml: 0ff1a9b9d8b211a836d3440f6462e5859566035bb864ba4b7696724d56e6032b
// es.toml: e71b3832efc15ccacc1c1f73a6ea9120fc93e5e69c91ed6a4f68727543598442
// fa.toml: cbdac45b4ca6b103b0ede3dec7864e82bd4290ff7829207d7c13bcce1656ddc7
// pt.toml: e516b28fe27c95433534bebeae4fc975584343f9746bbf1bdf0d6dda00b29603
// ru.toml: c12ab104686ef402bdcc3287c775aa7a4d79f5c84c651af476e2b4a8fffb2488

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
