// Asks for the token of the API, which is kept in memory only.

import { html, nothing } from '../shared/dom.js';

export function loginView(problem, onToken) {
  const submit = (event) => {
    event.preventDefault();
    const { value } = event.target.elements.token;
    if (value !== '') onToken(value);
  };
  return html`
    <section class="card login" aria-labelledby="login-title">
      <h1 id="login-title">This proxy’s API has a token</h1>
      <form @submit=${submit}>
        <label class="field"><span>Token</span><input name="token" type="password" autocomplete="off" spellcheck="false" required></label>
        <button type="submit" class="primary">Watch</button>
      </form>
      ${problem ? html`<p class="problem" role="alert">${problem}</p>` : nothing}
      <p class="note">It is what <code>api.token</code> or <code>api.token_file</code> of the proxy’s configuration has. It is kept in this tab’s memory and nowhere else.</p>
    </section>`;
}
