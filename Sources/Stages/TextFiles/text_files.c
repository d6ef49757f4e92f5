// The texts as they are in data/.
//
// Their digests are here so that a change of them is built; `make check` compares them, and prints those that it found.
// ar.toml: e436c502d9dc8f54c72a91b6aaa84adfa4d4408846b42722e5406cde1a0e8f72
// de.toml: d1e12bbe65f6f0919f6de807145b406c662e22292f4a63a77fe9ebcc3e0efccc
// en.toml: 4065964e181f5beeb216966d3c11fb71ca720cc4bcecd47e092a0dfe3e7e6214
// es.toml: 050856e3aebc57cb6a9c4eb194d0b55b0f8e659f5dbc578081f1ec44f396a817
// fa.toml: 49d7cc8cdb31bb9b0815f640670fcfea379e9caf66cacfeefda629089ceeb56c
// pt.toml: 1af7f476c01e5910846c85ec39cb3a660ac77bc65ec5daff746ac24091444431
// ru.toml: f0fa3deeec8672b6862f61b50ebde8a9be69600a28f4974a442432ce6768021f

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
