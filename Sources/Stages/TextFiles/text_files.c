// The texts as they are in data/.
//
// Their digests are here so that a change of them is built; `make check` compares them, and prints those that it found.
// ar.toml: daab02ed06a0105a237247a5743b6e930ccbaeebfdeef17ef6c82cb1122754d7
// de.toml: d1860804d428c1f833f199af73c876090ac877ce0eaf58684cc39bc2cd7bd6ba
// en.toml: bc4c38db6fa26654a2e7563e5f2cd7e97ebd60b4d4e33cf78ee2eebd567b8fb5
// es.toml: 51d8ae0dc4ee2364eef568e69180570ecd914d798a05fd4eddeb6fb0a06475a1
// fa.toml: 50a669658c247073f63c8ad8941fbd979ff80018ae9b20670d166b9d1bcc8ab7
// pt.toml: 83bbcd4f6ddb42ba81e46306d86ccb59795ca20034fe8ebcc56b1b3885ff68db
// ru.toml: bd51212f9b151549ca816fe12edaa4c63905a015464963c2f1bfa022e2d8e825

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
