// The console's script: each module is one behaviour, bound by data- attributes. Every page works without it.
import "./theme.js";
import "./times.js";
import "./copy.js";
import "./dialogs.js";
import "./search.js";
import "./keys.js";
import "./lists.js";
import "./select.js";
import "./toasts.js";
import "./live.js";
