/*
 * The page, taken into the program by the assembler: no generated file, and no
 * copy of the page that can be older than it.  Any thread.
 */
#include "admin/page.h"

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
	return (size_t)(page_end - page_begin);
}
