#include "tls/trust.h"
