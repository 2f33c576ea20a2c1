#include "staple/attach.h"
