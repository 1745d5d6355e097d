/* Before the first paint, or the page would flash in the other theme. */
'use strict';
{
  const chosen = localStorage.getItem('headwater.theme');
  if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
}
