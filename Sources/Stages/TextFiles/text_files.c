// The texts as they are in data/.
//
// Their digests are here so that a change of them is built; `make check` compares them, and prints those that it found.
// ar.toml: 98d22ff55e83822c29d7acc4203b70a832c9a4aee67e5998dc9ff7a295ec09b3
// de.toml: f12c562c4aa713c17bb31a7b059f927f230284bd827dea95066819c6a257bf8c
// en.toml: 43fca204cde232e1bad7b7568bfda3103ede92b44eb8faff7acae687bcb19f55
// es.toml: 04c6c53aad68ede414cbf2c852deba856f1e3b894e8657047e6db518b25dc9bf
// fa.toml: 7f720b0469e9df1ec62e684ebe4d98dfc0a8f5019ed858621c30de744ec99364
// pt.toml: d24e40362ca26aff9514a0e3e185fd8a8eb4fd918fe9705a2d11877146c74c04
// ru.toml: fdf4e68aa765091780d5a343f7ec88b46e30c0953fc34feeb9dc6cd146b526a3

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
