#include "tls/sni.h"
