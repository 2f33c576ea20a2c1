#include "staple/settings.h"
