// Work for the screen, which is done once for a frame, however often it is asked for.

export function oncePerFrame(action) {
  let scheduled = false;
  return () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      action();
    });
  };
}
