// What goes on is read out as it changes; the line itself is replaced each time, so its frame has to be the live part.
element.setAttribute("aria-live", "polite");
