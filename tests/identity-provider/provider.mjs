// A real OpenID provider of its own for one test: two client applications, every user who says a name is signed in.
//
// Prints its issuer as one line and ends when its standard input does, so it never outlives the test that started it.
// Arguments: the issuer that it claims to be (its own address when absent); another provider's issuer makes it a forger with a key of its own.
import {createServer} from 'node:http';
import {generateKeyPairSync} from 'node:crypto';
import {Provider} from 'oidc-provider';

const RESOURCE = 'https://api.example';
const SECRET = 'a-secret-of-this-test-alone';

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const own = `http://127.0.0.1:${server.address().port}`;
const issuer = process.argv[2] ?? own;

const key = generateKeyPairSync('rsa', {modulusLength: 2048}).privateKey.export({format: 'jwk'});
const provider = new Provider(issuer, {
  // The same name for every provider's key, so that a forged token is refused for its signature and nothing else.
  jwks: {keys: [{...key, kid: 'key', use: 'sig', alg: 'RS256'}]},
  clients: [{
    client_id: 'web',
    client_secret: SECRET,
    redirect_uris: ['https://web.example/signed-in'],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
  }, {
    client_id: 'app',
    client_secret: SECRET,
    redirect_uris: [],
    grant_types: ['client_credentials'],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
  }],
  scopes: ['openid', 'offline_access', 'shop'],
  routes: {token: '/as/token.oauth2'},
  cookies: {keys: ['a-key-of-this-test-alone']},
  pkce: {required: () => false},
  findAccount: (context, id) => ({accountId: id, claims: () => ({sub: id})}),
  issueRefreshToken: () => true,
  interactions: {url: (context, interaction) => `/sign-in/${interaction.uid}`},
  features: {
    devInteractions: {enabled: false},
    clientCredentials: {enabled: true},
    // Access tokens are signed tokens for the API, so that a gateway can verify them.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({scope: 'shop', audience: RESOURCE, accessTokenFormat: 'jwt', jwt: {sign: {alg: 'RS256'}}}),
    },
  },
});

// A sign-in page in earnest asks for a password and for consent; this one takes `login_hint` at its word.
async function signIn(request, response) {
  const {params} = await provider.interactionDetails(request, response);
  const grant = new provider.Grant({accountId: params.login_hint, clientId: params.client_id});
  grant.addOIDCScope(params.scope);
  grant.addResourceScope(RESOURCE, 'shop');
  const consent = {grantId: await grant.save()};
  await provider.interactionFinished(request, response, {login: {accountId: params.login_hint}, consent});
}

const answer = provider.callback();
server.on('request', (request, response) => {
  if (!request.url.startsWith('/sign-in/')) return answer(request, response);
  signIn(request, response).catch((fault) => response.writeHead(500).end(String(fault)));
});
process.stdin.on('end', () => process.exit(0)).resume();
console.log(own);
