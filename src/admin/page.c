/*
 * The page, taken into the program by the assembler: no generated file, and no
 * copy of the page that can be older than it.  Any thread.
 */
#include "admin/page.h"

#include <stdint.h>

#ifndef PAGE_FILE /* for tools that do not run make */
#define PAGE_FILE "src/admin/page.html"
#endif

extern const char page_begin[], page_end[];

__asm__(".section .rodata\n"
	".globl page_begin\n"
	".globl page_end\n"
	"page_begin:\n"
	".incbin \"" PAGE_FILE "\"\n"
	"page_end:\n"
	".byte 0\n"
	".previous\n");

const char *
page_text(void)
{
	return page_begin;
}

size_t
page_len(void)
{
	return (size_t)((uintptr_t)page_end - (uintptr_t)page_begin);
}
