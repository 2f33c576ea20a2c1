#include "tls/client.h"
