/*
 * Any bytes as a configuration: parsing never crashes, an error has a text, and
 * an accepted configuration prints as a file that reads back the same.  The
 * name puts relative paths into a folder that does not exist.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

#define NAME "/nonexistent/clinch.ini"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config *
print_and_read(const struct config *config)
{
	struct config_errors errors;
	const struct config *again;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		abort();
	config_print(config, out);
	if (fclose(out) != 0)
		abort();
	again = config_parse(NAME, text, size, &errors);
	if (again == NULL || again->listener_count != config->listener_count)
		abort();
	free(text);
	return again;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors errors;
	const struct config *config, *again;

	config = config_parse(NAME, (const char *)data, size, &errors);
	if ((config == NULL) != (errors.list.count > 0))
		abort();
	if (config != NULL) {
		again = print_and_read(config);
		for (size_t i = 0; i < config->listener_count; i++)
			if (!config_listener_equal(
				&config->listeners[i], &again->listeners[i]))
				abort();
		config_unref(again);
	}
	config_unref(config);
	config_errors_free(&errors);
	return 0;
}
